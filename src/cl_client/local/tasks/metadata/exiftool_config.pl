# Configuration of ExifTool, which replaces that of the user.
#
# With -stay_open, ExifTool up to 13.59 polls its standard input for ever after the end of it, so a worker that is
# killed would leave it behind. It reads standard input with sysread, and nothing else; this ends it at the end.
BEGIN {
    *CORE::GLOBAL::sysread = sub (*\$$;$) {
        my ($name, $buffer, $length, $offset) = @_;
        no strict 'refs';
        my $file = ref $name ? $name : \*{caller() . "::$name"};
        my $count = CORE::sysread($file, $$buffer, $length, $offset || 0);
        exit if $name eq 'STAYOPEN' and defined $count and $count == 0;
        return $count;
    };
}
1;
