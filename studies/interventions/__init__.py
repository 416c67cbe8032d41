"""The study behind `docs/interventions.md`: what each control does, is fixed enough, what slack costs."""
