"""Payment providers. The sandbox is included; a deployment brings its own (`service.ports.PaymentProvider`)."""
