"""What exported stages cost to switch, and what the script of the docs gains by leaving early."""
