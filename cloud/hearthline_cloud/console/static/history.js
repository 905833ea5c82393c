// The days of the search are those of the viewer's own time zone.

for (const field of document.querySelectorAll("input[data-offset]")) field.value = -new Date().getTimezoneOffset();
