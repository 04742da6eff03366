<?php
$db = new PDO($_SERVER['NOTES_DSN'], 'postgres', '', [
    PDO::ATTR_PERSISTENT => true,
    PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
]);
$statement = $db->prepare('select title from notes where id = ?');
$statement->execute([mt_rand(1, 1000)]);
echo 'note: ', $statement->fetchColumn(), "\n";
