"""The one loop that trains every method, and what it needs: device, precision, schedule, resume, log."""
