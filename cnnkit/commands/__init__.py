"""What the commands of the terminal do, a file each."""
