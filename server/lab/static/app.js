// Keyboard work and live updates of the technician pages. Everything works without this file.
