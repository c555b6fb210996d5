"""WILL it do what one expects?  What a right file does that its writer may not have meant."""
