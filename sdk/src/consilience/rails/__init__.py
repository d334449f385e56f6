"""Rails: plug-ins that turn outside money into deposits, and payouts back into it (spec section 3.4).

`contract` is what a rail has to do; each other file is one rail, with the side of the payee and that of the payer.
"""
