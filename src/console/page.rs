//! The console's page, `/admin`: files that are part of the binary. It knows nothing until somebody shows it an admin's token.

use actix_web::web::{Bytes, ServiceConfig};

use crate::http::files::{CSS, File, HTML, JAVASCRIPT, SVG, TEXT};

macro_rules! files {
    ($($path:literal = $file:literal: $kind:ident,)*) => {
        &[$(($path, $kind, include_str!($file)),)*]
    };
}

/// Path, content type, content; what the chat page has, too, is the same file.
const FILES: &[(&str, &str, &str)] = files![
    "/admin" = "page/index.html": HTML,
    "/admin/" = "page/index.html": HTML,
    "/admin/base.css" = "../page/base.css": CSS,
    "/admin/icon.svg" = "../page/icon.svg": SVG,
    "/admin/dom.js" = "../page/dom.js": JAVASCRIPT,
    "/admin/console.css" = "page/console.css": CSS,
    "/admin/main.js" = "page/main.js": JAVASCRIPT,
    "/admin/feed.js" = "page/feed.js": JAVASCRIPT,
    "/admin/live.js" = "page/live.js": JAVASCRIPT,
    "/admin/numbers.js" = "page/numbers.js": JAVASCRIPT,
    "/admin/search.js" = "page/search.js": JAVASCRIPT,
    "/admin/sessions.js" = "page/sessions.js": JAVASCRIPT,
    "/admin/ways.js" = "page/ways.js": JAVASCRIPT,
    "/admin/confirm.js" = "page/confirm.js": JAVASCRIPT,
    "/admin/vendor/uPlot.esm.js" = "page/vendor/uPlot.esm.js": JAVASCRIPT,
    "/admin/vendor/uPlot.min.css" = "page/vendor/uPlot.min.css": CSS,
    "/admin/vendor/LICENSE" = "page/vendor/LICENSE": TEXT,
];

/// Puts the page's routes into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    for &(path, kind, content) in FILES {
        config.configure(File::new(kind, Bytes::from_static(content.as_bytes())).at(path));
    }
}
