"""The study of the interventions: what each control does, whether a fixed setting is enough, what slack costs."""
