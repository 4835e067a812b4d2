"""Files to take away: what they say, how they stream, and what proves them whole."""
