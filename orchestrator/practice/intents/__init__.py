"""What a plain English message asks for, as far as the practice model understands it."""
