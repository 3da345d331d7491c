"""What the servers for Google have in common: settings, sign-in, and the way calls are sent."""
