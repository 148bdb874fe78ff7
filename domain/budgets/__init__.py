"""How much may be spent, by whom, in which period: money is reserved before a call (rule L12)."""
