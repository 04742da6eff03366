<?php
$value = 0;
$rounds = (int) $_SERVER['QUERY_STRING'];
for ($round = 1; $round <= $rounds; $round++) {
    $value = ($value * 31 + $round) % 1000003;
}
header('Content-Type: text/plain; charset=utf-8');
echo "Computed: $value\n";
