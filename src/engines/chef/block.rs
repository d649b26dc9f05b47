//! A block that enlist writes into a file of the admin's, between two comment lines. Every other line
//! is kept. Writing the same block again changes nothing.

use std::ops::Range;

use super::ruby;

const BEGIN: &str = "# BEGIN enlist: written anew by each join; put your own lines outside";
const END: &str = "# END enlist";

/// The text with this block: in its place if it is there already, else at the end of the program.
#[must_use]
pub fn set(text: &str, content: &str) -> String {
    let block = format!("{BEGIN}\n{content}{END}\n");
    if let Some((before, after)) = parts(text) {
        return format!("{before}{block}{after}");
    }
    // What follows `__END__` is data, which Ruby does not run.
    let (program, data) = text.split_at(ruby::read(text.as_bytes()).end);
    let newline = if program.is_empty() || program.ends_with('\n') { "" } else { "\n" };
    format!("{program}{newline}{block}{data}")
}

/// The text without the block.
#[must_use]
pub fn unset(text: &str) -> String {
    parts(text).map_or_else(|| text.to_owned(), |(before, after)| format!("{before}{after}"))
}

/// The content of the block, where there is one.
#[must_use]
pub fn content(text: &str) -> Option<&str> {
    let (before, after) = parts(text)?;
    let block = text.get(before.len()..text.len() - after.len())?;
    let (_, content) = block.split_once('\n')?;
    Some(content.rfind(END).and_then(|end| content.get(..end)).unwrap_or(content))
}

/// Where the block is, with its two comment lines.
#[must_use]
pub fn range(text: &str) -> Option<Range<usize>> {
    let (before, after) = parts(text)?;
    Some(before.len()..text.len() - after.len())
}

/// The text before and after the block. A block whose end line is missing ends with the file.
fn parts(text: &str) -> Option<(&str, &str)> {
    let begin = line_start(text, BEGIN)?;
    let (before, rest) = text.split_at(begin);
    let after = match line_start(rest, END) {
        Some(end) => {
            rest.get(end..).and_then(|tail| tail.split_once('\n')).map_or("", |(_, after)| after)
        }
        None => "",
    };
    Some((before, after))
}

/// The offset of the line with this text.
fn line_start(text: &str, wanted: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == wanted {
            return Some(start);
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{set, unset};

    #[test]
    fn a_new_block_comes_before_the_end_of_the_program() {
        let once = set("a\n__END__\ndata\n", "x\n");
        assert!(
            once.starts_with("a\n# BEGIN") && once.ends_with("# END enlist\n__END__\ndata\n"),
            "{once}"
        );
        assert_eq!(unset(&once), "a\n__END__\ndata\n");
    }

    #[test]
    fn other_lines_stay_and_a_second_write_changes_nothing() {
        for text in ["", "a\n", "a\nb", "log_level :info\n\n"] {
            let once = set(text, "x 'y'\n");
            assert_eq!(set(&once, "x 'y'\n"), once);
            assert_eq!(unset(&once).trim_end(), text.trim_end());
            let with_more = format!("{once}z\n");
            let changed = set(&with_more, "w\n");
            assert!(
                changed.contains("w\n") && !changed.contains("x 'y'") && changed.ends_with("z\n"),
                "{changed}"
            );
        }
    }
}
