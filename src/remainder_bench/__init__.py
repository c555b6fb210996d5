"""HOW FAST?  Cases are data; what they need of Linux is in kernel/ and lab/."""
