"""The cases of an agent: records, library, traces, bundles, signatures."""
