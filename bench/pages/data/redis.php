<?php
$redis = new Redis();
$redis->pconnect('127.0.0.1', (int) $_SERVER['NOTES_PORT']);
echo 'note: ', $redis->get('note:' . (mt_rand(1, 1000))), "\n";
