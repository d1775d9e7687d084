"""What tests share: real servers and workers, clients of the product, sample data and hypothesis strategies."""
