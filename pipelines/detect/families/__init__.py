"""Evidence families of single accounts (METHOD section 5), one module each."""
