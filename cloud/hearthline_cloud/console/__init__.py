"""The console of the care staff: live alerts, one alert, homes and devices, a resident; in Chinese and English."""
