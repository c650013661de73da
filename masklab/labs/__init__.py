"""One lab a lesson: a pure function from a state to a picture, and the controls around it."""
