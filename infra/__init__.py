"""How to run what the product runs beside: brokers, clusters, images. Not part of the wheel."""
