"""The report service: the only part of Lab Mitra on the internet. Reports come in from labs, patients read them."""
