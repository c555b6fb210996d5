"""WHO is asking?  Each role turns the plan into something that runs on this machine."""
