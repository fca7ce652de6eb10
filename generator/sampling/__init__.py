"""Drawing codes: settings, filters, noise, drafts, the frame ring, the engine."""
