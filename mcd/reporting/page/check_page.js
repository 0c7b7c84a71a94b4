for (const table of document.querySelectorAll("table")) sortable(table);
stick();
