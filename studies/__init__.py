"""Evidence: studies that measure and prove. Nothing here is in the wheel, and the product imports none of it."""
