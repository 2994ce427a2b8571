"""The database: SQLAlchemy Core (no ORM) on SQLite or PostgreSQL.

Modules here hold plain functions on a `sqlalchemy.Connection`, to be run by `Database.read` and `Database.write`.
"""
