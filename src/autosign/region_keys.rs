//! The public keys that AWS signs instance identity documents with, RSA with SHA-256, by region.
//!
//! Source: EC2 User Guide, "AWS public certificates for instance identity document signatures". The
//! certificates are in `tests/data/aws-identity-rsa`, and `tests/autosign` compares them with this
//! table. The older regions share one key. A certificate's dates are not checked: AWS publishes the key
//! itself as what is to be trusted.

/// The regions of a key, and the key: an RSAPublicKey (RFC 8017 A.1.1) in DER, as base64.
#[rustfmt::skip]
pub const KEYS: &[(&[&str], &str)] = &[
    (&["af-south-1"],
     "MIGJAoGBAMV3nvWdTNW2R7es/JGRh++zeOHQLQQzPMbvZujJQ2Od/DX6bRN4WtpMspv1PoXtO4H9kQ36+aViqvb7lVrxTyots8XRtEf4V1oqOGBZl1hfEbNDNTeKjLlblkzVXIHuJSzEQCXGzJsLfOI9hocjjZSJORA1qGaiug16pXIc2cGlAgMBAAE="),
    (&["ap-east-1"],
     "MIGJAoGBALWSQddhN9zuBjlDnkkmGNOJ4cCBpxpCSJE+K3L1A8MTdv41cOHhR0/XF0jDvclwggbewb1GFaJdUIeHoqS4JOol89SScgqTy+wzdFd+VSkF7w9/4/3anGo8wLPUWvY16FLcmGGmQJlUbHHAsLmBobQuvisU5G5uNhhGHzh0r3xXAgMBAAE="),
    (&[
        "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
        "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2",
        "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"
    ],
     "MIGJAoGBAIe9GN//SRK2knbjySG0ho3yqQM3e2TDhWO8D2e8+XZqck754gFSo99AbT2RmXClambI7xsYHZFapbELC4H91ycihvrDjbST1ZjkLQgga0NE1q43eS68ZeTDccScXQSNivSlzJZS8HJZjgqzBlXjZftjtdJLXeE4hwvo0sD4f3j9AgMBAAE="),
    (&["ap-south-2"],
     "MIGJAoGBANPAe7Q0P6wVyhuuO9wBibQ81EPx/hHWMDO+gu3b6oZ45MDI7Ue22Ppyaxg3cA/WE3mJi6mkWJiyXZ409r8IPRWDQEB8MWVXmvOOkDSPtMlptWHiSPsm+0P7FgyLrARADjHpI841jg55nb7yj8dLye5ylYNV09E7pyJZSUyGOYObAgMBAAE="),
    (&["ap-southeast-3"],
     "MIGJAoGBAKcJL9Vu3SBDV5tZy6vaFI7s+cmJ8Tg4/FDtGBICVzj+ykmnWwM/5mtLQs7Vkl8qFd/VH1LcBTAuexztv4i5Vd1jksr1Eqq7rifJc/l3HXvTOgvyWgTIJK5FHZ+z7TiLZCxYFU/4oU0Cfs/kvUQdGOSBM7ySM0q+LBFX46Q/1pvnAgMBAAE="),
    (&["ap-southeast-4"],
     "MIGJAoGBAMd7PBCvZVClBJNblNc15+JCs/6pZMYBsaw94xfiEEyMAlQrKzY0hFxFlosz8EJ7DYUg9WM22VqPobCf2KlTgyXPfMjAAxaLUC8YxKt6mm37BXoxG186OHQO+P+94l7zxoRkkyjM2CQkVFL5YVaxyRB4vnq1/qRjpBOU2jxX/QKxAgMBAAE="),
    (&["ap-southeast-5"],
     "MIGJAoGBAMW4rJ3Fmyit00ftsvAiW4QY6Rfv8J0t2l6qQMoSFCQXDOlHFpfgQCWQaHb+jsPyqd4L1wZCGpIblZVUGuZkbux+QU4zibUC1j76R+/4xi2jVUWAuTXEluSmrWvhh5BSX5mwlixmnJf+36DyzutbQ5VwGxjHgvvlt/fjPfybArw9AgMBAAE="),
    (&["ap-southeast-7"],
     "MIGJAoGBAJqOAB45q7C+oYMuse/G6OdnUGeQzPCOvJwxROSPyOo21agNBZQlU09kkguiwRRXArYjeg2QSzH+vKX1d9dw01x6hh9UQ/ORPOjOtnK44broVa1RTUsp4nuH3+tfRl32VkSiSt2vp0s+30WwdZorkTGVSdYGM2W1xAuSQqqh5hoXAgMBAAE="),
    (&["ca-west-1"],
     "MIGJAoGBAMrWQhwblDpp0FdAzvkaV19NKJeXu2fninXROeykjQSsN1vYHqrYmL+/hcFUfXdkIyCqVEcypXwBYjmI7qAWfYD2w3cBldMyrC1l6IN15ureTpa3uJ5i+ldODSq+CyNAii9FlZoEMEnL3HwLaFb7D2UxCMUeQnsnL88cInr0TN5tAgMBAAE="),
    (&[
        "cn-north-1", "cn-northwest-1"
    ],
     "MIGJAoGBALoYVDZagGXXFlgfzkg1QxpNzgPfRBczp/5iZZnIkP18LtnRSVpkgqhABOoI7nwo0Kt76MQIQtghfnpSrSVvwtEs/y2KOtD1KneolxeIfrqQfR5Djhrlh17BwU7L4JIBgNQhoHpeFNAnavtt3gDa/DfJtvFM5Y40p05a2Ah7czeLAgMBAAE="),
    (&["eu-central-2"],
     "MIGJAoGBALaZ0Z2mzlHPaPNhwY2yARNMZS2ElGtWpKdRYldOVVohuQY8so7o6vsB9YoWnayBEny8uyOgFVHlwRJUrty4rXAi2O8nKL+ikpkBS6wnHaGmBTelQeGWn0BOH9V5UPnzaNN30hj7y3kwNrpnd8aWIHISJfPQsQd2LwwFpwtES7VPAgMBAAE="),
    (&["eu-south-1"],
     "MIGJAoGBAKOI+Bbe+xdGPgmgDXpZAPKg9z96HdAEBFoCkkRzic8gahSiWkBdyMWFamWjY76K+B8KxzgBT06lh0A+Freykt7L9uEc9GLUlkdE2pJwo/SHOwI2YqF+dlMgRAIW+ykNGnjOv3X9ZLTr9+UkUFgnokeGnQrAzzVdAbn2VXqSShbtAgMBAAE="),
    (&["eu-south-2"],
     "MIGJAoGBAMH9W9HX7jkB7LnOfe8+TrEGbmj2CtIMvoPaIC6mtCd9VefwIhtINtYWEDd+LmKmmMqSHeyXxXIK8I5Rcp05o2tgGs9GSt0d0G4vZNzzhE77eb+vEhRnYgrV8OULqxYCN11/qwGtXbDZrvwfQfwTC7CJKC21REGPAnso88kKpqqtAgMBAAE="),
    (&["il-central-1"],
     "MIGJAoGBAOtzbi7cCAXGeg+DPFHrIVc5qZw+7FheFgpaZqlv5Ly87LmGkuhF7hGQ6tjRwzds3TsZ0QyWKfmZTTLW3zLdy3hh7C+aSBPjaRPIwz63UrhLTGyqNfHFLvXq4ZiHt5a2TGsKKGPwBtc3/qlrT3mH7tNnKXafzeR6I1TMzYqipBUzAgMBAAE="),
    (&["me-central-1"],
     "MIGJAoGBANxpOBb8rIDrPKu4lCtjLTRrrCosDt55TOTdsyJOQuxN4NB+uRpkx8ECMZpo7KZGjULerMTish6eZqG9SmW71mYvAvWJ1ZcxFfZGVK8i353ZJ6go4pBahzZQ4VkwdjEO57vOTKTUIhFoG6RN5jXf9EiuVzpfrXMnkEG1leUfBrKNAgMBAAE="),
    (&["me-south-1"],
     "MIGJAoGBALVNCDTZEnIeoX1SEYqq6k1BV0ZlpY5y3KnoOreCAE589TwS4MX5+8Fzd6AmACmugeBPQk7Hm6b2+g/d4tWycyxLaQlcq81DB1GmXehRkZRgGeRge1ePWd1TUA0I8P/QBT7SgUePm/kANSFU+P7s7u1NNl+vynyi0wUUrw7/wIZTAgMBAAE="),
    (&["mx-central-1"],
     "MIGJAoGBAN+86cLObWI3nw2buTp6GjLq/SWecUjrXsPoJjdt+6rTVEJ0RAv3r6lhrAmJ5MfwkBAqPTYIBrcB5qp1dMT+kOEj9gout54xvgrrxYyfbhaOOzqjGMFsCawpe232KEocYEU1SGAWs0VjIDaLuJ4m+LCkeND9eBeIba7X+3/hXJ1TAgMBAAE="),
    (&[
        "us-gov-east-1", "us-gov-west-1"
    ],
     "MIGJAoGBAKmiHBhRU8f0jtVuRvdYx78kHRj9uZ9WPdWlwrjjlgFE70rzRqV6yOAFza0BfgpiDguG3gQEpxwsdPNo2LnVgQZfVos2tKbGHPX5a3M0s1SzJjfMP3O/Bf/eTX4kHZ1ED6b4KnDHiaPNnIB5C0e16BVoDK2Saq3FCtIJ7EHG+pGpAgMBAAE="),
];
