"""How fast a provider may be called: learnt from what it says, shared by the fleet."""
