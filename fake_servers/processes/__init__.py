"""Servers in processes of their own: the side that starts them. What runs there is `fake_servers.worker`."""
