"""What these techniques compute with torch and PEFT: imported by their methods alone, while a step runs."""
