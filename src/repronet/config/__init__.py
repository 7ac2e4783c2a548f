"""From the words of a command line to checked values, and from these to the objects they describe."""
