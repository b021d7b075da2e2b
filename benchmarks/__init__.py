"""Programs that measure, each against something real in the same run."""
