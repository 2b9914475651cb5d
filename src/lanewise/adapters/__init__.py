"""The world behind the ports, one folder a port; entry points name what is in them."""
