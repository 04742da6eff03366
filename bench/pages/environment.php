<?php
// What PHP itself adds to the parameters of the request is left out: both servers show the same rows.
$env = $_SERVER;
unset($env['PHP_SELF'], $env['REQUEST_TIME'], $env['REQUEST_TIME_FLOAT'], $env['FCGI_ROLE'], $env['argv'], $env['argc']);
ksort($env);
header('Content-Type: text/html; charset=utf-8');
echo "<!doctype html>\n<title>Environment</title>\n<table>\n";
foreach ($env as $name => $value) {
    echo '<tr><th>', htmlspecialchars($name), '</th><td>', htmlspecialchars($value), "</td></tr>\n";
}
echo "</table>\n";
