<?php
header('Content-Type: text/html; charset=utf-8');
echo "<!doctype html>\n<title>Table</title>\n<table>\n";
for ($row = 1; $row <= 200; $row++) {
    echo '<tr><td>', $row, '</td><td>', htmlspecialchars("Name <$row>"), '</td><td>',
        htmlspecialchars("say \"hello\" & wave, it's row $row"), "</td></tr>\n";
}
echo "</table>\n";
