<?php
require __DIR__ . '/table.php';
