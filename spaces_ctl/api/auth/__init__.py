"""Accounts and logins over HTTP, and where a request's credentials become a principal (`credentials`)."""
