"""Records that a check makes up: good ones, each kind of them, their twins and forgeries, and who publishes them."""
