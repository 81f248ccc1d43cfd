"""The Network Structure Code (NSC): networks of layers that name their predecessors."""
