"""OAuth 2.0 for third-party apps: consent page (`authorize`), tokens (`tokens`), apps and grants (`apps`)."""
