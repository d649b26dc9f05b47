use super::{Part, read};

fn stop(text: &str) -> Option<(usize, String)> {
    let (at, why) = read(text.as_bytes()).problem?;
    Some((text.get(..at).unwrap_or_default().matches('\n').count() + 1, why))
}

#[test]
fn complete_programs_are_read_to_their_end() {
    for text in [
        "",
        "x 1",
        "\u{feff}# by an editor\nx 1\n",
        "=begin\nif \"\n=end\nx 1\n",
        "if a then b end\nc if d\n",
        "while x do y end\nuntil z\n  w\nend\nfor a in b do c end\n",
        "begin\n  gem 'x'\nrescue LoadError => e\n  warn e\nensure\n  y\nend\n",
        "class << self\n  def x(a, b = {}) a end\nend\n",
        "def x(a) = a + 1\ndef y=(v)\n  @y = v\nend\ndef ==(o) true end\ndef self.z?; false; end\n",
        "x = case y when /a\\/\"b/ then 1 else 2 end\n",
        "a.map { |b| b / 2 }.each do |c| puts \"#{c[\"d\"]} }\" end\n",
        "x = a ? b : c\ny = ?a\nz = a / b / c\nw = a % b\n",
        "x %w(a (b) c) + %q{'} + %Q[\"#{y}\"] + %i<a b>\n",
        "x <<A, <<~'B', <<-\"C D\"\n\"\nA\n  '\n  B\n (\n  C D\ny 1\n",
        "x << 'a'\ny <<1\nclass X < Y; end\n",
        "x = { if: 1, 'end' => 2, :do => 3, :\"a b\" => 4, [] => :[]= }\n",
        "x.end\ny.class.if\nX::begin\n$' \n$\"\n$/\n@x = @@y\n",
        "x 1 if y and not z\nx \\\n  1\n",
        "a = [1,\n  2,\n]\nb(\n)\nx = a ||\n  b\n",
        "lambda { |x| x }\n->(y) { y }\nz = -> do 1 end\n",
        "log_level :info # it's\nx `uname -r`\n",
        "x 1\r\nif y\r\n  z\r\nend\r\n=begin\r\n(\r\n=end\r\n",
        "__END__ \nx 1\n",
        "x 1\n__END__\nif (\n",
        "# encoding: iso-8859-1\nx 1\n",
        "x :a= if b\ny [:[], :<<], :!~\ndef self.[](a) a end\ndef a.== _; true end\n",
        "puts [1].sum { _1 } rescue nil\n",
        "x /a b/\ny = x =~ /[\"']/ ? 1 : 2\n",
        "raise 'x' unless y\nputs 1\n",
    ] {
        let reading = read(text.as_bytes());
        assert_eq!(stop(text), None, "{text:?}");
        assert!(reading.is_start(reading.end), "{text:?}");
        assert_eq!(reading.leaves, [], "{text:?}");
    }
}

#[test]
fn what_ruby_refuses_is_a_problem_with_its_line() {
    for (text, line) in [
        ("x 1\n=begin\ny 2\n", 2),
        ("=begin\n=endx\n", 1),
        ("x 1\nif y\n  z\n", 2),
        ("x <<A\nb\n", 1),
        ("x <<A\nb\n A\n", 1),
        ("x 1\ny 'it's'\n", 2),
        ("x \"#{y\n", 1),
        ("x (\n1\n", 1),
        ("x ]\n", 1),
        ("end\n", 1),
        ("if x\n}\n", 1),
        ("x 1\n\u{1a}", 2),
        ("x 1\n\u{4}\n", 2),
        ("x 1\0\n", 1),
        ("x 1 &&\n", 1),
        ("x 1,\n# more\n", 1),
        ("x.\n", 1),
        ("x 1\ny =\n", 2),
        ("x 1\ny \\\n", 2),
        ("y \\", 1),
        ("x %w(a b\n", 1),
        ("# encoding: shift_jis\n", 1),
        ("# -*- coding: utf-16le -*-\n", 1),
        ("#!/bin/sh\n# coding=none\n", 1),
        ("# encoding: us-ascii\n# ü\nx 'ü'\n", 3),
    ] {
        assert_eq!(stop(text).map(|(line, _)| line), Some(line), "{text:?}: {:?}", stop(text));
    }
    let latin = |text: &[u8]| read(text).problem.map(|(at, _)| at);
    assert_eq!(latin(b"# M\xfcller\nx 1\n"), None);
    assert_eq!(latin(b"x 1\ny 'M\xfcller'\n"), Some(8));
    assert_eq!(latin(b"# coding: latin1\ny 'M\xfcller'\n"), Some(0));
    assert_eq!(latin(b"# coding: iso-8859-15\ny 'M\xfcller'\n"), None);
}

#[test]
fn statements_that_end_the_run_are_found() {
    for (text, words) in [
        ("return\n", &["return"][..]),
        ("return unless File.exist?('/x')\n", &["return"]),
        ("exit 1 if x\n", &["exit"]),
        ("Process.exit!\nKernel.abort('x')\n", &["exit!", "abort"]),
        ("raise 'x'\n", &["raise"]),
        ("raise 'x' if y\n", &[]),
        ("begin\n  raise 'x'\nrescue\nend\n", &[]),
        ("def x\n  return 1\nend\n", &[]),
        ("x.each { return }\n", &["return"]),
        ("# return\nx 'exit'\ny exit: 1\n", &[]),
    ] {
        let found: Vec<&str> =
            read(text.as_bytes()).leaves.into_iter().map(|(_, word)| word).collect();
        assert_eq!(found, words, "{text:?}");
    }
}

#[test]
fn each_byte_belongs_to_code_text_comment_or_data() {
    let text = "a 'b' # c\nd \"#{e}\" \n__END__\nf\n";
    let reading = read(text.as_bytes());
    let shown: String = (0..text.len())
        .map(|at| match reading.part(at) {
            Some(Part::Code) => 'c',
            Some(Part::Text) => 't',
            Some(Part::Comment) => '#',
            Some(Part::Data) => 'd',
            None => '?',
        })
        .collect();
    assert_eq!(shown, "cctttc###ccctcccctccdddddddddd");
}

#[test]
fn nothing_that_is_no_ruby_ends_the_process() {
    let pieces =
        ["<<A\n", "%w", "#{", "\"", "?", "\\", "$", "@", ":", "def ", "=begin\n", "/", "é", "("];
    for first in pieces {
        for second in pieces {
            for third in pieces {
                let text = format!("x {first}{second}{third}");
                let reading = read(text.as_bytes());
                assert!(reading.end <= text.len());
            }
        }
    }
    let deep = "\"#{".repeat(10_000);
    assert!(read(deep.as_bytes()).problem.is_some());
}
