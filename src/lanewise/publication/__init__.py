"""Publication, the deciding half: fingerprints, partition maps, view SQL, retention. Pure; opens nothing."""
