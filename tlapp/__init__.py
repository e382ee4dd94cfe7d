"""tlapp: transfer learning made practical."""
