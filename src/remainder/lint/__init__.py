"""WILL it do what one expects?  Effects of a valid file that its author may not have intended."""
