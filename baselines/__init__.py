"""What the paper's system is compared with."""
