"""Assets, checks, schedules, sensors, resources and partitions, one module each."""
