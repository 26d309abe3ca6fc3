"""The research-use notice that every page, report and export carries."""

RESEARCH_USE = (
    "Research use only. VideoPath is not a medical device: its output must not be used for diagnosis, "
    "treatment or any other clinical decision."
)
