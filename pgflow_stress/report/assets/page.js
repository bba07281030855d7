// Nothing beside what every page has.
